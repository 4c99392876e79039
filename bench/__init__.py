"""How fast Portico is, beside nginx, and how much memory it takes. `cargo xtask bench` builds what is measured and runs this."""
