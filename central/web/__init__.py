"""The platform's HTTP surface: nodes, wallets, administration."""
