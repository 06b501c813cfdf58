// SPDX-License-Identifier: Apache-2.0

package datapower_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// persistent is a spec with one persistent volume that sets every field.
const persistent = `storage: [{type: persistent, path: /a, size: 5Gi, class: fast, selector: {matchLabels: {t: g}}, deleteClaim: false}]`

// updateRules are updates from one spec to another and where they are refused.
var updateRules = map[string]struct {
	was, is string
	path    string // empty: accepted
	message string
}{
	"persistent storage may stay as it is": {
		was: persistent, is: persistent,
	},
	"persistent storage must not be added to a service without storage": {
		was: `{}`, is: persistent,
		path: "spec.storage", message: "persistent storage must not be added to an existing service",
	},
	"persistent storage must not be added beside ephemeral storage": {
		was:  `storage: [{type: ephemeral, path: /t}]`,
		is:   `storage: [{type: ephemeral, path: /t}, {type: persistent, path: /a, size: 5Gi}]`,
		path: "spec.storage", message: "persistent storage must not be added to an existing service",
	},
	"persistent storage must not be added beside persistent storage": {
		was:  `storage: [{type: persistent, path: /a, size: 5Gi}]`,
		is:   `storage: [{type: persistent, path: /a, size: 5Gi}, {type: persistent, path: /b, size: 5Gi}]`,
		path: "spec.storage", message: "persistent storage must not be added to an existing service",
	},
	"persistent storage must not be removed beside persistent storage": {
		was:  `storage: [{type: persistent, path: /a, size: 5Gi}, {type: persistent, path: /b, size: 5Gi}]`,
		is:   `storage: [{type: persistent, path: /a, size: 5Gi}]`,
		path: "spec.storage", message: "persistent storage must not be removed from an existing service",
	},
	"persistent storage must not be removed with the field": {
		was: persistent, is: `{}`,
		path: "spec.storage", message: "persistent storage must not be removed from an existing service",
	},
	"persistent storage must not be removed from the list": {
		was: persistent, is: `storage: []`,
		path: "spec.storage", message: "persistent storage must not be removed from an existing service",
	},
	"ephemeral storage must not become persistent": {
		was:  `storage: [{type: ephemeral, path: /a}]`,
		is:   `storage: [{type: persistent, path: /a, size: 5Gi}]`,
		path: "spec.storage", message: "persistent storage must not be added to an existing service",
	},
	"persistent storage must not become ephemeral": {
		was:  `storage: [{type: persistent, path: /a, size: 5Gi}]`,
		is:   `storage: [{type: ephemeral, path: /a, size: 5Gi}]`,
		path: "spec.storage", message: "persistent storage must not be removed from an existing service",
	},
	"the size of persistent storage must not change": {
		was:  persistent,
		is:   `storage: [{type: persistent, path: /a, size: 6Gi, class: fast, selector: {matchLabels: {t: g}}}]`,
		path: "spec.storage[0].size", message: "size of persistent storage must not change",
	},
	"the class of persistent storage must not change": {
		was:  persistent,
		is:   `storage: [{type: persistent, path: /a, size: 5Gi, selector: {matchLabels: {t: g}}}]`,
		path: "spec.storage[0].class", message: "class of persistent storage must not change",
	},
	"the selector of persistent storage must not change": {
		was:  persistent,
		is:   `storage: [{type: persistent, path: /a, size: 5Gi, class: fast, selector: {matchLabels: {t: h}}}]`,
		path: "spec.storage[0].selector", message: "selector of persistent storage must not change",
	},
	"the claims of persistent storage must not be given to deletion": {
		was:  persistent,
		is:   `storage: [{type: persistent, path: /a, size: 5Gi, class: fast, selector: {matchLabels: {t: g}}, deleteClaim: true}]`,
		path: "spec.storage[0].deleteClaim", message: "deleteClaim of persistent storage must not change",
	},
	"persistent storage may change what has no effect": {
		was: `storage: [{type: persistent, path: /a, size: 5Gi, deleteClaim: false, volumeMode: Block}, {type: persistent, path: /b, size: 5Gi}]`,
		is:  `storage: [{type: persistent, path: /b, size: 5Gi, deleteClaim: false}, {type: persistent, path: /a, size: 5Gi, volumeMode: Filesystem}]`,
	},
	"ephemeral storage may be added, changed and removed": {
		was: `storage: [{type: persistent, path: /a, size: 5Gi}, {type: ephemeral, path: /t, size: 1Gi}, {type: ephemeral, path: /u}]`,
		is:  `storage: [{type: ephemeral, path: /v}, {type: ephemeral, path: /t, size: 2Gi}, {type: persistent, path: /a, size: 5Gi}]`,
	},
	"the pod management policy must not change": {
		was: `podManagementPolicy: Parallel`, is: `podManagementPolicy: OrderedReady`,
		path: "spec.podManagementPolicy", message: "podManagementPolicy must not change",
	},
	"the pod management policy must not change from the default": {
		was: `{}`, is: `podManagementPolicy: OrderedReady`,
		path: "spec.podManagementPolicy", message: "podManagementPolicy must not change",
	},
	"the pod management policy must not change to the default": {
		was: `podManagementPolicy: OrderedReady`, is: `{}`,
		path: "spec.podManagementPolicy", message: "podManagementPolicy must not change",
	},
	"the pod management policy may be named later, since the default is the chart's": {
		was: `{}`, is: `podManagementPolicy: Parallel`,
	},
	"what an older schema let in does not block a change elsewhere": {
		was: `{resources: {limits: {memory: 1Gi}}, replicas: 1}`,
		is:  `{resources: {limits: {memory: 1Gi}}, replicas: 2}`,
	},
	"what an older schema let in is refused once it changes": {
		was:  `{resources: {limits: {memory: 1Gi}}}`,
		is:   `{resources: {limits: {memory: 1025Mi}}}`,
		path: "spec.resources.limits.memory", message: "limits.memory must be at least 2Gi",
	},
}

func TestRulesOfUpdates(t *testing.T) {
	services := loadServices(t)
	for name, test := range updateRules {
		t.Run(name, func(t *testing.T) {
			errs := services.Update(t, service(t, "v1beta3", test.was), service(t, "v1beta3", test.is))
			if test.path == "" {
				assert.Empty(t, errs)
				return
			}
			requireRefused(t, errs, test.path, test.message)
		})
	}
}

func TestPersistentStorageIsImmutableInOlderVersions(t *testing.T) {
	services := loadServices(t)
	for _, version := range []string{"v1beta1", "v1beta2"} {
		t.Run(version, func(t *testing.T) {
			errs := services.Update(t,
				service(t, version, `storage: [{type: persistent, path: /a, size: 5Gi}]`), service(t, version, `{}`))
			requireRefused(t, errs, "spec.storage", "persistent storage must not be removed")
		})
	}
}
