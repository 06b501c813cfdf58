package manifests_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// unused are rights that the journey has no use for, with the reason why the operator has them. Other tests use them.
var unused = map[string]string{
	"get horizontalpodautoscalers.autoscaling":                            "a service with podAutoScaling",
	"patch horizontalpodautoscalers.autoscaling":                          "a service with podAutoScaling",
	"delete horizontalpodautoscalers.autoscaling":                         "a service with podAutoScaling",
	"watch horizontalpodautoscalers.autoscaling":                          "a service with podAutoScaling",
	"delete poddisruptionbudgets.policy":                                  "a service that is scaled to one gateway",
	"watch endpointslices.discovery.k8s.io":                               "the endpoints of a published API",
	"get customresourcedefinitions.apiextensions.k8s.io":                  "the conversion of a definition that was changed by others",
	"patch customresourcedefinitions/status.apiextensions.k8s.io":         "objects that are stored in an old version",
	"delete deployments.apps":                                             "a conversion webhook that another operator left",
	"delete clusterroles.rbac.authorization.k8s.io":                       "a conversion webhook that another operator left",
	"delete clusterrolebindings.rbac.authorization.k8s.io":                "a conversion webhook that another operator left",
	"update mutatingwebhookconfigurations.admissionregistration.k8s.io":   "a configuration that somebody changed, or a new CA",
	"update validatingwebhookconfigurations.admissionregistration.k8s.io": "a configuration that somebody changed, or a new CA",
	"update datapowerservices/finalizers.datapower.ibm.com":               "clusters that check who sets blockOwnerDeletion",
	"patch events.":              "the leader election's events, when one comes again",
	"patch events.events.k8s.io": "an event that comes again",
}

// right is a verb on a resource of a group; the subresource is part of the resource ("statefulsets/scale").
func right(group, resource, verb string) string {
	return fmt.Sprintf("%s %s.%s", verb, resource, group)
}

// granted are the rights that the roles among the manifests give to the operator's own account.
func (w *world) granted() map[string]bool {
	w.Helper()
	found := map[string]bool{}
	for document := range strings.SplitSeq(w.manifests(w.now), "\n---\n") {
		var role rbacv1.ClusterRole // a Role has the same rules
		require.NoError(w, yaml.Unmarshal([]byte(document), &role))
		if !strings.HasSuffix(role.Kind, "Role") || role.Name == "datapower-operator-edit" || role.Name == "datapower-operator-view" ||
			role.Name == "datapower-operator-metrics-reader" {
			continue // those are for people
		}
		for _, rule := range role.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						found[right(group, resource, verb)] = true
					}
				}
			}
		}
	}
	return found
}

// used are the rights that the operator's requests needed, by the API server's audit log, and the requests that were forbidden.
func (w *world) used() (rights map[string]bool, forbidden []string) {
	w.Helper()
	log, err := os.Open(filepath.Join(filepath.Dir(os.Getenv("KUBECONFIG")), "run", "audit.log"))
	require.NoError(w, err, "hack/e2e.sh starts the cluster with an audit log")
	defer func() { _ = log.Close() }()
	rights = map[string]bool{}
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var event struct {
			Verb, RequestURI string
			User             struct{ Username string }
			ObjectRef        *struct{ APIGroup, Resource, Subresource string }
			ResponseStatus   struct{ Code int }
		}
		require.NoError(w, json.Unmarshal(lines.Bytes(), &event))
		if event.User.Username != "system:serviceaccount:"+system+":datapower-operator" || event.ObjectRef == nil {
			continue
		}
		resource := event.ObjectRef.Resource
		if event.ObjectRef.Subresource != "" {
			resource += "/" + event.ObjectRef.Subresource
		}
		needed := right(event.ObjectRef.APIGroup, resource, event.Verb)
		rights[needed] = true
		if event.ResponseStatus.Code == 403 {
			forbidden = append(forbidden, needed+" "+event.RequestURI)
		}
	}
	require.NoError(w, lines.Err())
	return rights, forbidden
}

// groups are the API groups that the cluster had during the journey: nothing can be used of others.
func (w *world) groups() map[string]bool {
	w.Helper()
	found := map[string]bool{"datapower.ibm.com": true}
	for version := range strings.FieldsSeq(w.run("api-versions")) {
		group, _, grouped := strings.Cut(version, "/")
		if !grouped {
			group = ""
		}
		found[group] = true
	}
	return found
}

// compareRights compares the roles with what was used, both ways.
func (w *world) compareRights() {
	granted := w.granted()
	used, forbidden := w.used()
	assert.Empty(w, forbidden, "requests of the operator that its roles do not allow")
	served := w.groups()
	var idle []string
	for name := range granted {
		verb, resource, _ := strings.Cut(name, " ")
		_, group, _ := strings.Cut(resource, ".")
		switch {
		case used[name], unused[name] != "", !served[group]:
		case verb == "create" && (used["patch "+resource] || unused["patch "+resource] != ""): // server-side apply of what is new
		case verb == "list" && (used["watch "+resource] || unused["watch "+resource] != ""): // API servers that cannot stream what there is are asked for lists
		default:
			idle = append(idle, name)
		}
	}
	slices.Sort(idle)
	assert.Empty(w, idle, "rights that nothing used; take them from config/rbac or say in this file what for they are")
	for name := range unused {
		assert.False(w, used[name], "%s is used, and listed here as unused", name)
		assert.True(w, granted[name], "%s is listed here as unused, and no role gives it", name)
	}
}
