// Package conversion converts DataPowerService between v1beta1, v1beta2 and v1beta3 without losing anything.
//
// It is pure: the API server may convert at any read, list, watch, dry run or managed-fields operation, so a
// conversion reads and writes nothing but the object. v1beta3 is the hub: every conversion goes to it or from it, and
// one between the two old versions goes through it.
//
// A conversion has three layers:
//
//   - The plain mapping (plain.go) renames and rewrites the few fields that differ between versions. Which fields a
//     version has at all is not listed anywhere: it is read from the Go types (shape.go), so a new field of v1beta3
//     travels without a change here.
//   - What the plain mapping loses is found by going there and back and comparing (diff.go). It travels in the
//     annotation [DataAnnotation], and is restored on the way back where the field still shows what the conversion
//     left there. A field that was changed meanwhile keeps the change, and what was parked for it is dropped.
//   - The settings of v1beta1's datapowerMonitor travel in an annotation of their own (monitor.go), because the
//     reconcile of the service makes a DataPowerMonitor from them.
//
// Names that IBM's operator documents: "10.0.0" and "10.0.1" of v1beta1 became "10.0-cd" and "10.0-lts", "10.0-eus"
// of v1beta2 became "10.0-lts", and volume mode Block became Filesystem. The way back gives the name that was there.
package conversion
