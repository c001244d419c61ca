#!/bin/sh
# A fake of go: `build` writes the main.go of the module as the program, `mod download` names a folder as the module.
# It notes each build in $FAKE_GO/calls, fails when $FAKE_GO/broken exists, and waits while $FAKE_GO/hold does. Into a
# folder it would have to write names of its own choice, which depend on more than the package's last word: it refuses.
case "$1" in
  env) echo "go1.99.0" ;;
  mod) printf '{"Dir": "%s"}' "$FAKE_GO/assets" ;;
  build)
    echo "$PWD $CGO_ENABLED $GOFLAGS $GOTOOLCHAIN $*" >> "$FAKE_GO/calls"
    cp -R . "$FAKE_GO/module"
    while [ -e "$FAKE_GO/hold" ]; do sleep 0.05; done
    if [ -e "$FAKE_GO/broken" ]; then echo "main.go:1: no such thing" >&2; exit 1; fi
    while [ "$1" != -o ]; do shift; done
    if [ $# != 3 ] || [ -d "$2" ]; then echo "fake go: one package, and the name of its file" >&2; exit 1; fi
    cp main.go "$2"
    ;;
esac
