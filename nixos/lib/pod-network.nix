# What the cluster's pod network calls and asks of a node: its row of the table that verification reads too.
cluster: (builtins.fromJSON (builtins.readFile ../modules/pod-networks.json)).${cluster.provider}
