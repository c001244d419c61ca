module slipway.lab/k0s

go 1.26.0

require (
	github.com/pelletier/go-toml/v2 v2.2.4
	github.com/spf13/pflag v1.0.10
	go.yaml.in/yaml/v3 v3.0.4
)
