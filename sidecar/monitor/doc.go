// Package monitor is the controller of DataPowerMonitor. It watches the pods of the DataPowerService of the monitor's
// name, waits until they are quiet, and then has the gateways' peering looked after. It is the only writer of
// DataPowerMonitor.status.
//
// [Next] decides: a pure function from what is remembered and seen to what is to be done. [Reconciler] looks, writes and
// acts.
//
// # Pod events
//
// An event is a pod that is new, is asked to end or is gone, another IP address, phase or readiness, a restarted
// container, a container that waits for another reason than before, a scheduling failure that comes or goes, and a node
// that is lost or evicts (see [Change]). It counts when the pod's controller is a StatefulSet of the same name that the
// service controls. Annotations, labels, times and messages of conditions are no events, and neither are pods that exist
// when the operator starts.
//
// # Order of the status
//
// An event sets workPending and lastEvent; the status is written before anything else happens. Each further event starts
// the wait of lifecycleDebounceMs anew; the exact time is remembered and written at most once a second. When the wait is
// over, one write sets workInProgress, clears workPending and lastEvent; then the work runs; then workInProgress is
// cleared, and lastWork and the conditions tell the result.
//
// A deadline is lastEvent plus the present lifecycleDebounceMs, whoever saw the event. Work that a dead process left in
// progress is done again at once. A lastEvent that cannot be read or lies in the future counts from the moment at which
// it is found.
//
// # Without events
//
// Nothing depends on having seen an event. At the start, after taking over the lease, when spec or service change, and
// every [Policy].Tick, a service with monitorGatewayPeering is looked at. The look writes nothing when the status says
// already what it found, and leads to work when it finds stale peers.
//
// # The journal
//
// status.resets holds the resets that were begun and not ended. Writes of it, as of the whole status, hold for exactly
// the state of the monitor that they were made from, so that a process which has lost the lease cannot undo an entry.
package monitor
