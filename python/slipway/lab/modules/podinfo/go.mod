module slipway.lab/podinfo

go 1.26.0
