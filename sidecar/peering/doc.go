// Package peering keeps the gateway peering of a DataPowerService free of peers that are gone for good, which the gateways
// themselves cannot know.
//
// [Decide] is a pure function from the service's pods and from what their gateways say to the resets that are due now, in
// their order, and to what has to wait and why. [Worker] looks and acts until nothing is left to do. [RestGateways]
// connects to the gateways.
//
// # When a peer is stale
//
// A peer is stale when a gateway has no link to it and its address belongs to no pod of the service. A pod that terminates
// keeps its address until it is gone. While a pod has no address yet, no address is stale: it might get this one. A gateway
// that lists no row for itself, under its pod's address or its peering's local address, knows its peers by other addresses,
// of which nothing can be said.
//
// # What a reset may cost
//
// A reset drops all links of one member of one peering, also those to live members, which link again. Members are the
// running pods that have the peering, also those that terminate, until they are gone; peers that are gone do not count. A
// member is active when it has a link to the primary. IBM's documentation of "show gateway-peering-status" says what a valid
// quorum is: the primary is up and at least n/2+1 members are active. The promise is that no reset takes a quorum away. So:
//
//   - A member that is not active may be reset: the quorum does not change.
//   - An active member of a peering without quorum is not reset.
//   - An active member is reset only while n/2+1 others stay active that do not terminate. Groups of one and two have no
//     member to spare, and would keep stale peers for ever, which cost them the quorum for good; there a reset needs all
//     members active.
//   - The primary is reset when no other member is left that could be.
//   - A peering without a primary is given time for its own failover. Then its members are reset, the longest running last,
//     because it has the most data: a gateway forgets the dead by it, and the living are a quorum again.
//
// Of the pods of a service one is reset at a time. Nobody of a peering is reset while another member answers and is not
// linked with all active ones, whoever is the cause: a reset of this work, of an earlier one, of a process that died, or its
// own start. A member that takes longer than the policy's SettleLooks is given up: the others go on, as far as the quorum
// allows, and the report names it ([ReasonLinkDown], [ReasonPeeringDisabled]) as long as it is not linked. While a peering
// could not be enabled again, no other one is disabled for its reset, however long that takes. What a gateway says may be as
// old as the look; the gateway to be reset, and the pods, are read again right before.
//
// Links that come back late may bring an address back that is gone. No work waits for that: whoever calls Work has to look
// again some time after resets.
//
// # How
//
// No public document names the action that resets a peering, so there are several strategies: first configured actions,
// then actions whose name tells that they do it, as far as the gateway offers them, then the administrative state of the
// peering, disabled and enabled again, in the running configuration only. What a reset did shows in the rows and nowhere
// else: an action that says it is completed and leaves the stale peer listed had no effect, and the next strategy follows.
//
// A [Journal] has each reset before the gateway has, so that a peering which a process left disabled when it died is enabled
// by the next one, and a peering that its user disabled is not.
package peering
