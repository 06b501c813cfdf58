// SPDX-License-Identifier: Apache-2.0

// Package oda holds what the programs that work on ExposedAPI (oda.tmforum.org) must agree on: the names, the settings
// that the environment gives, and pure functions that say where an API is routed, whether it is monitored, and which
// of two APIs has a path. The Go types are in the packages below.
//
// The kinds belong to TM Forum's ODA Canvas, and most clusters bring their own definitions of them. Those keep unknown
// fields in spec and status, have no status subresource (so that a write of the status counts as a generation), and
// do not declare status.conditions: to server-side apply that list is atomic there, and who applies it replaces the
// conditions of everybody else. So writers read the list, replace their own conditions in it, and write it with the
// resourceVersion that they read.
package oda
