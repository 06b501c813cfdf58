// Package defaulting fills in what users leave out of DataPowerService and DataPowerMonitor.
//
// It is pure, so the webhook and the reconcile use the same functions. The defaults of a service are the chart's:
// [Defaults] reads its values, and the rules here are those of the chart's templates, so that rendering a service
// after defaulting gives what rendering it before gives. What only the chart can know (annotations of the pods, the
// pull Secret of the generated ServiceAccount) is left to it, and so is a setting whose default is DataPower's own.
//
// Defaulting never replaces a value that a user set, not even by another notation of it: whoever applies a resource
// again must find it as it was. A filled-in value stays in the object, though, and may contradict what its user writes
// later: a limit below the default request, a second handler beside the default one. [Update] therefore computes anew
// what nobody owns and what still is as defaulting left it.
//
// The functions work on JSON objects, because Go types cannot tell initialDelaySeconds: 0 from an absent field.
package defaulting
