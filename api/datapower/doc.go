// SPDX-License-Identifier: Apache-2.0

// Package datapower holds the names that every version of the datapower.ibm.com API, and every program that
// works on it, must agree on: labels, annotations, finalizers, object names, condition types, reasons, phases.
// It has no behaviour beyond deriving one name from another.
package datapower
