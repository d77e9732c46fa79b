//! Tests of the connection over loopback sockets.
