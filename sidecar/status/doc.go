// Package status is the only writer of what the sidecar says in
// DataPowerService.status: phase, the conditions Ready, Pending, Error and
// Warning, replicas, labelSelector, pods, versions, mgmtPorts, customImages
// and generated. The rest of the status belongs to the helm-operator.
//
// [Compute] decides: a pure function from what was observed to the status.
// [Reconciler] observes through caches, and acts only when the decision
// differs from what the DataPowerService already says. In steady state it
// neither reads from nor writes to the API server. Before it writes it looks
// at the DataPowerService and its StatefulSet once more, live, so that a cache
// that lags behind can neither report an old StatefulSet as ready for a new
// generation nor repeat an event.
//
// # What the conditions say
//
// Ready is always there. True (reason StatefulSetReady) means that the
// StatefulSet controller has acted on the newest StatefulSet, that all pods
// which the update strategy wants updated are updated, and that exactly the
// wanted number of pods exists and is ready. The wanted number is the
// StatefulSet's, because an autoscaler or a stop may ask for another one than
// spec.replicas. The message is "StatefulSet replicas ready: 3/3", followed by
// what is still awaited if anything is. Ready's observedGeneration is the
// newest generation that the helm-operator has deployed, so that
//
//	kubectl wait --for=condition=Ready dp/example
//
// right after an edit waits for the edited state, also when the edit cannot
// be deployed.
//
// Pending is there, and True, exactly while Ready is not True; its reason tells
// a StatefulSet that is being changed from pods that are not ready.
//
// Error is always there. True carries what is wrong: the reason is that of the
// first problem, the message lists all of them, causes before effects. False
// (reason NoError) means that nothing is known to be wrong, which can be
// waited for:
//
//	kubectl wait --for=condition=Error=false dp/example
//
// Warning is always there: True (reason ReconcileWarning) with everything that
// works but wants attention, or False (reason NoWarning).
//
// Error, Warning and Pending speak of what was seen at metadata.generation.
//
// The phase sums up: Failed while Error is True, else Running while Ready is
// True, else Pending.
package status
