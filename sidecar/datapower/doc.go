// Package datapower speaks the REST management interface of one DataPower gateway: it reads domains, gateway peering and
// firmware, switches the administrative state of a peering, and runs actions.
//
// It knows the interface and nothing of Kubernetes. What it assumes of answers is what IBM documents ("REST management
// interface" in the DataPower Gateway documentation) plus what recorded answers show: a class with one row is an object
// and one with several is an array, numbers may be strings, booleans are "on" and "off", references are objects with
// "value" and "href", text may be XML-escaped, and a resource that the user may not see answers 404 like one that does
// not exist.
//
// A gateway is not trusted: answers are bounded in bytes and rows, texts from it are cut and cleaned before they enter
// an error, redirects are not followed, and the location of an asynchronous action is only ever asked on the same host.
package datapower
