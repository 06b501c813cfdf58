// Package gateway stands in for IBM DataPower Gateways in tests: it serves the REST management interface as documented,
// answers health probes, and keeps gateway peering with other stand-ins over real TCP connections, so that stale peers
// appear because a peer went away and not because a test said so. README.md lists its behaviours and their sources.
//
// An [Instance] is one gateway. It has no listener of its own: connections are handed to it, together with the port that
// they were made to. [Listen] hands it those of real ports, as one gateway in a container. A [Fleet] stands in for all
// gateway pods of a cluster with simulated nodes, whose addresses exist only in the API: its CONNECT proxy hands each
// connection to the instance of the pod that it was meant for. A [Host] has what the instances of one process share, so
// that an idle instance costs memory and nothing else.
package gateway
