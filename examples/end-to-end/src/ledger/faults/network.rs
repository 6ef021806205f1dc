//! Faults of the network between nodes and servers: cut, refused, swallowed, slow.
