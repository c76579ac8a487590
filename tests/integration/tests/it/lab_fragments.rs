//! Walk 9 of the design between real sockets.
