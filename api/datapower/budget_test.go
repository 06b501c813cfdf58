// SPDX-License-Identifier: Apache-2.0

package datapower_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestLargeObjectsStayWithinTheBudgetOfRules shows that the CEL rules do not get in the way of a service that is as
// large as an API server can store, about 1.5 MB: their cost when they run has a limit of its own, beside the estimate
// that is checked when the definition is installed.
func TestLargeObjectsStayWithinTheBudgetOfRules(t *testing.T) {
	repeat := func(n int, item func(i int) any) []any {
		items := make([]any, n)
		for i := range items {
			items[i] = item(i)
		}
		return items
	}
	long := strings.Repeat("x", 60)
	obj := service(t, "v1beta3", "{}")
	spec := obj.Object["spec"].(map[string]any)
	spec["users"] = repeat(1000, func(i int) any {
		return map[string]any{
			"name": fmt.Sprint(long, i), "passwordSecret": "s", "accessLevel": "group-defined", "group": long,
		}
	})
	spec["storage"] = repeat(24, func(i int) any {
		return map[string]any{"path": fmt.Sprint("/", long, i), "type": "persistent", "size": "5Gi", "class": long}
	})
	spec["domains"] = repeat(500, func(i int) any {
		return map[string]any{
			"name": fmt.Sprint(long, i),
			"certs": repeat(20, func(int) any {
				return map[string]any{"certType": "usrcerts", "secret": "s", "subPath": long}
			}),
			"passwordMap": repeat(10, func(j int) any {
				return map[string]any{"alias": fmt.Sprint(long, j), "generate": true}
			}),
		}
	})
	text, err := obj.MarshalJSON()
	assert.NoError(t, err)
	assert.Greater(t, len(text), 1_500_000)

	services := loadServices(t)
	_, errs := services.Create(t, obj)
	assert.Empty(t, errs)

	changed := obj.DeepCopy()
	changed.Object["spec"].(map[string]any)["replicas"] = int64(2)
	errs = services.Update(t, obj, changed)
	assert.Empty(t, errs)
}
