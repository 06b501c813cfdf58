// Package conversionruntime keeps the conversion webhook of a cluster running: one for all instances of the operator.
//
// # What there is
//
// A Deployment and a Service datapower-operator-conversion-webhook, the Secrets of its certificate, a ServiceAccount, a
// ClusterRole and a ClusterRoleBinding dpop-conv-webhook, and the conversion stanza of the DataPowerService
// definition, which owns all of them. So the webhook outlives the last operator and goes with the definition.
//
// # Who manages it
//
// The instance of the operator that the annotation [HolderAnnotation] of the definition names. It is written under the
// guard of the definition's resourceVersion, so that of several instances one gets it; the others stand by until its
// Deployment is gone. The Deployment of the webhook names its manager too ([ManagedByAnnotation]). One whose
// annotation is missing, or names an operator that does not exist, is an orphan: the first instance that finds it takes
// it over. In another namespace it is deleted once the new one answers, so that it serves until then; in the own
// namespace it is deleted first, and its pods stay for the new one where the selectors allow it.
//
// # The stanza
//
// It is written only after the webhook has answered with a certificate that the API server will accept under the
// bundle which is written with it. It is never removed. A bundle grows before a certificate of a new CA is served and
// shrinks after every replica serves one, also when the Secrets were lost.
//
// [Decide] and the builders of objects are pure; [Manager] acts. Conversions are served by the pods of the Deployment
// or, outside a cluster, by the operator's own process, which the stanza then names by URL ([Local]).
package conversionruntime
