module slipway.lab/coredns

go 1.26.4

// main.go (ours, ~20 lines): import the plugins cache, errors, forward, health, hosts, kubernetes, ready, reload;
// set dnsserver.Directives to their order; call coremain.Run().
