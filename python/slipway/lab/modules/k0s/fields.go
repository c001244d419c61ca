package main

import (
	_ "embed"
	"fmt"

	"go.yaml.in/yaml/v3"
)

//go:embed fields.yaml
var fieldsFile []byte

// fields are the names that k0s.yaml may have, as a tree; nil where everything is allowed.
type fields map[string]any

var knownFields = func() (tree fields) {
	if err := yaml.Unmarshal(fieldsFile, &tree); err != nil {
		panic(err) // the file is part of this program
	}
	return tree
}()

// unknownFields are errors for what k0s.yaml has and k0s does not know, in the words of k0s's decoder.
func unknownFields(path string, found any, known fields) []error {
	if known == nil {
		return nil
	}
	var failures []error
	switch found := found.(type) {
	case []any:
		for i, each := range found {
			failures = append(failures, unknownFields(fmt.Sprintf("%s[%d]", path, i), each, known)...)
		}
	case map[string]any:
		for _, name := range sortedKeys(found) {
			below, there := known[name]
			if !there {
				failures = append(failures, fmt.Errorf("json: unknown field %q (in %s)", name, path))
				continue
			}
			next, _ := below.(fields)
			failures = append(failures, unknownFields(path+"."+name, found[name], next)...)
		}
	}
	return failures
}
