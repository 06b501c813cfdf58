package conversionruntime

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var a, b = Operator{"a", OperatorName}, Operator{"b", OperatorName}

func TestWhoManagesTheWebhook(t *testing.T) {
	both := []Operator{a, b}
	in := func(namespace, managedBy string) Runtime {
		return Runtime{Namespace: namespace, ManagedBy: managedBy, UID: "1"}
	}
	for name, tc := range map[string]struct {
		world   World
		role    Role
		manager Operator
		replace bool
		remove  int
	}{
		"nobody does: claim it":                               {world: World{Self: a, Operators: both}, role: RoleClaim},
		"the definition names me":                             {world: World{Self: a, Operators: both, Holder: a.String()}, role: RoleManage},
		"the definition names one that exists":                {world: World{Self: a, Operators: both, Holder: b.String()}, role: RoleStandBy, manager: b},
		"the definition names one that is gone":               {world: World{Self: a, Operators: []Operator{a}, Holder: b.String()}, role: RoleClaim},
		"the definition names nonsense":                       {world: World{Self: a, Operators: both, Holder: "/"}, role: RoleClaim},
		"a Deployment is managed by one that exists":          {world: World{Self: a, Operators: both, Runtimes: []Runtime{in("b", b.String())}}, role: RoleStandBy, manager: b},
		"a Deployment names an operator without a namespace":  {world: World{Self: a, Operators: both, Runtimes: []Runtime{in("b", OperatorName)}}, role: RoleStandBy, manager: b},
		"a Deployment is managed by one that is gone":         {world: World{Self: a, Operators: []Operator{a}, Runtimes: []Runtime{in("b", b.String())}}, role: RoleClaim},
		"a Deployment is managed by nobody":                   {world: World{Self: a, Operators: both, Runtimes: []Runtime{in("b", "")}}, role: RoleClaim},
		"mine, and an orphan elsewhere":                       {world: World{Self: a, Operators: both, Holder: a.String(), Runtimes: []Runtime{in("b", ""), in("a", a.String())}}, role: RoleManage, remove: 1},
		"mine, with an orphan in my namespace":                {world: World{Self: a, Operators: both, Holder: a.String(), Runtimes: []Runtime{in("a", "")}}, role: RoleManage, replace: true},
		"mine, and what was my orphan is going":               {world: World{Self: a, Holder: a.String(), Runtimes: []Runtime{{Namespace: "a", Going: true}}}, role: RoleManage},
		"outside a cluster: taken by one that started later":  {world: World{Self: a, Held: true, Holder: b.String()}, role: RoleStandBy, manager: b},
		"outside a cluster: a new start takes it":             {world: World{Self: a, Holder: b.String()}, role: RoleClaim},
		"outside a cluster: the annotation was only removed":  {world: World{Self: a, Held: true}, role: RoleClaim},
		"in a cluster: it was mine, and the other is gone":    {world: World{Self: a, Held: true, Operators: []Operator{a}, Holder: b.String()}, role: RoleClaim},
		"my own annotation on a Deployment is nobody else's":  {world: World{Self: a, Operators: both, Runtimes: []Runtime{in("a", a.String())}}, role: RoleClaim},
		"a Deployment of one that exists, which is going":     {world: World{Self: a, Operators: both, Runtimes: []Runtime{{Namespace: "b", ManagedBy: b.String(), Going: true}}}, role: RoleClaim},
		"an operator of another name does not count":          {world: World{Self: a, Operators: both, Runtimes: []Runtime{in("b", "b/other")}}, role: RoleClaim},
		"the definition counts more than a Deployment's note": {world: World{Self: a, Operators: both, Holder: a.String(), Runtimes: []Runtime{in("b", b.String())}}, role: RoleManage, remove: 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := Decide(tc.world)
			assert.Equal(t, tc.role, d.Role, d.Why)
			assert.Equal(t, tc.manager, d.Manager)
			assert.Equal(t, tc.replace, d.Replace != nil)
			assert.Len(t, d.Remove, tc.remove)
			assert.NotEmpty(t, d.Why)
		})
	}
}

// TestHoweverOperatorsRaceOneManages lets several operators act in any order on views that may be old. A write goes
// through only when the definition is as it was seen, as the API server sees to.
func TestHoweverOperatorsRaceOneManages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 4).Draw(t, "operators")
		deployed := rapid.Bool().Draw(t, "with Deployments")
		type view struct {
			holder  string
			version int
		}
		var operators []Operator
		for i := range n {
			operators = append(operators, Operator{fmt.Sprintf("ns-%d", i), OperatorName})
		}
		exist := operators
		if !deployed {
			exist = nil
		}
		definition := view{}
		seen := make([]view, n)
		held := make([]bool, n)
		act := func(i int) bool {
			d := Decide(World{Self: operators[i], Operators: exist, Holder: seen[i].holder, Held: held[i]})
			switch {
			case d.Role == RoleManage:
				held[i] = true
			case d.Role == RoleClaim && seen[i].version == definition.version:
				definition = view{operators[i].String(), definition.version + 1}
				return true
			}
			return false
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, n-1).Draw(t, "who")
			if rapid.Bool().Draw(t, "looks") {
				seen[i] = definition
			}
			act(i)
		}
		writes := 0
		for range 10 {
			for i := range n {
				seen[i] = definition
				if act(i) {
					writes++
					seen[i] = definition
					act(i)
				}
			}
		}
		managers := 0
		for i := range n {
			seen[i] = definition
			if Decide(World{Self: operators[i], Operators: exist, Holder: seen[i].holder, Held: held[i]}).Role == RoleManage {
				managers++
			}
		}
		require.Equal(t, 1, managers)
		require.LessOrEqual(t, writes, n, "no flapping")
	})
}
