module slipway.lab/balancer

go 1.26.0

require go.yaml.in/yaml/v3 v3.0.4

require gopkg.in/check.v1 v0.0.0-20161208181325-20d25e280405 // indirect
