//! portmap after our plugin: from everywhere to a container by a port of its node, and nothing after DEL.
