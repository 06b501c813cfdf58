package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/storage"
)

var (
	demoKind = schema.GroupVersionKind{Group: "faults.test", Version: "v1", Kind: "Demo"}
	// snapshotKinds are all kinds that the chart, the hooks and the operator write.
	snapshotKinds = []schema.GroupVersionKind{
		demoKind,
		{Version: "v1", Kind: "ConfigMap"}, {Version: "v1", Kind: "Secret"}, {Version: "v1", Kind: "Service"},
		{Version: "v1", Kind: "ServiceAccount"}, {Group: "apps", Version: "v1", Kind: "Deployment"},
	}
)

// maxHistory is maxReleaseHistory of the watch.
const maxHistory = 5

// snapshot is the state of a namespace without what differs between two runs that went the same way.
type snapshot struct {
	// objects by "Kind name".
	objects map[string]string
	// conditions of the custom resource as "type=status/reason".
	conditions []string
	// revisions of the release by status.
	revisions map[string]int
	// wrong lists what is wrong whatever the reference is.
	wrong []string
}

func take(ctx context.Context, namespace string) (*snapshot, error) {
	s := &snapshot{objects: map[string]string{}, revisions: map[string]int{}}
	selector, err := labels.Parse(noRelease)
	if err != nil {
		return nil, err
	}
	var uid string
	for _, gvk := range snapshotKinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk)
		if err := kube.List(ctx, list, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
			return nil, fmt.Errorf("list %s: %w", gvk.Kind, err)
		}
		for i := range list.Items {
			u := &list.Items[i]
			if gvk == demoKind {
				uid = string(u.GetUID())
				s.conditions = conditions(u)
			}
			if err := s.add(u, namespace, uid); err != nil {
				return nil, err
			}
		}
	}
	if err := s.countRevisions(ctx, namespace); err != nil {
		return nil, err
	}
	return s, s.checkPieces(ctx, namespace)
}

// noRelease selects what is neither a release Secret nor a piece of one: these are counted.
const noRelease = "owner!=helm,!" + storage.PieceLabel

// secrets lists Secrets without their contents, which may be large.
func secrets(ctx context.Context, namespace string, which client.ListOption) ([]metav1.PartialObjectMetadata, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "SecretList"})
	err := kube.List(ctx, list, client.InNamespace(namespace), which)
	return list.Items, err
}

func (s *snapshot) countRevisions(ctx context.Context, namespace string) error {
	revisions, err := secrets(ctx, namespace, client.MatchingLabels{"owner": "helm"})
	for _, r := range revisions {
		s.revisions[r.Labels["status"]]++
	}
	return err
}

// add normalises one object.
func (s *snapshot) add(u *unstructured.Unstructured, namespace, uid string) error {
	key := u.GetKind() + " " + u.GetName()
	if owner := u.GetLabels()[inventory.OwnerUIDLabel]; owner != "" && uid != "" && owner != uid {
		s.wrong = append(s.wrong, key+" belongs to an owner that is gone")
	}
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "generation"} {
		unstructured.RemoveNestedField(u.Object, "metadata", field)
	}
	fields := u.GetManagedFields()
	for i := range fields {
		fields[i].Time = nil
	}
	u.SetManagedFields(fields)
	unstructured.RemoveNestedField(u.Object, "status")
	if u.GroupVersionKind() == demoKind {
		unstructured.RemoveNestedField(u.Object, "metadata", "managedFields") // the scenario and the status
		if padding, _, _ := unstructured.NestedString(u.Object, "spec", "padding"); padding != "" {
			_ = unstructured.SetNestedField(u.Object, fmt.Sprint(len(padding), " characters"), "spec", "padding")
		}
	}
	data, err := json.Marshal(u.Object)
	if err != nil {
		return err
	}
	if data, err = yaml.JSONToYAML(data); err != nil {
		return err
	}
	text := strings.ReplaceAll(string(data), namespace, "NAMESPACE")
	if owner := u.GetLabels()[inventory.OwnerUIDLabel]; owner != "" {
		text = strings.ReplaceAll(text, owner, "OWNER")
	}
	s.objects[key] = text
	return nil
}

func conditions(u *unstructured.Unstructured) []string {
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	var out []string
	for _, c := range list {
		c, ok := c.(map[string]any)
		if !ok {
			continue
		}
		line := fmt.Sprintf("%v=%v/%v", c["type"], c["status"], c["reason"])
		if c["observedGeneration"] != u.GetGeneration() {
			line += " of an older generation"
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

// checkPieces finds pieces of large releases that no release Secret names.
func (s *snapshot) checkPieces(ctx context.Context, namespace string) error {
	pieces, err := secrets(ctx, namespace, client.HasLabels{storage.PieceLabel})
	if err != nil {
		return err
	}
	for _, piece := range pieces {
		parent := &corev1.Secret{}
		key := client.ObjectKey{Namespace: namespace, Name: piece.Labels[storage.PieceLabel]}
		err := kube.Get(ctx, key, parent)
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		if _, exists := s.objects["Demo "+name]; !exists && len(piece.OwnerReferences) == 1 {
			continue // left to the garbage collector, which does not run here
		}
		if apierrors.IsNotFound(err) || !strings.Contains(string(parent.Data["pieces"]), `"`+piece.Name+`"`) {
			s.wrong = append(s.wrong, "orphan piece "+piece.Name)
		}
	}
	return nil
}

// check adds what is wrong with the release: with a resource exactly one revision is deployed, without none is left,
// and nothing is ever left pending.
func (s *snapshot) check() []string {
	wrong := slices.Clone(s.wrong)
	_, exists := s.objects["Demo "+name]
	total := 0
	for status, n := range s.revisions {
		total += n
		if strings.HasPrefix(status, "pending") || status == "uninstalling" || status == "unknown" {
			wrong = append(wrong, fmt.Sprintf("%d revisions are %s", n, status))
		}
	}
	switch {
	case exists && s.revisions["deployed"] != 1:
		wrong = append(wrong, fmt.Sprintf("%d revisions are deployed: %v", s.revisions["deployed"], s.revisions))
	case !exists && total > 0:
		wrong = append(wrong, fmt.Sprintf("revisions are left: %v", s.revisions))
	case total > maxHistory:
		wrong = append(wrong, fmt.Sprintf("%d revisions are kept, at most %d are allowed", total, maxHistory))
	}
	return wrong
}

// differences tells in which ways got is not what want is.
func differences(want, got *snapshot) []string {
	out := got.check()
	for _, key := range slices.Sorted(maps.Keys(want.objects)) {
		switch text, ok := got.objects[key]; {
		case !ok:
			out = append(out, "missing "+key)
		case text != want.objects[key]:
			out = append(out, "different "+key+": "+firstDifference(want.objects[key], text))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got.objects)) {
		if _, ok := want.objects[key]; !ok {
			out = append(out, "orphan "+key)
		}
	}
	if !slices.Equal(want.conditions, got.conditions) {
		out = append(out, fmt.Sprintf("conditions %v instead of %v", got.conditions, want.conditions))
	}
	return out
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("%q instead of %q", strings.TrimSpace(b[i]), strings.TrimSpace(a[i]))
		}
	}
	return fmt.Sprintf("%d lines instead of %d", len(b), len(a))
}
