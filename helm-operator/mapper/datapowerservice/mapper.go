// Package datapowerservice maps what the chart of DataPowerService needs from the cluster: content
// hashes of referenced Secrets and ConfigMaps, and whether the user made a DataPowerMonitor.
package datapowerservice

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
)

// generatedLength of passphrases and passwords: 32 characters of 62 are 190 bits.
const generatedLength = 32

// ReasonReferenceNotFound is the condition reason for a missing Secret or ConfigMap.
const ReasonReferenceNotFound = "ReferenceNotFound"

// ReasonReferenceUnusable is the condition reason for a Secret that lacks what it is named for.
const ReasonReferenceUnusable = "ReferenceUnusable"

// Mapper implements mapper.Mapper for DataPowerService.
type Mapper struct {
	// defaultUsers stand in when a service names none.
	defaultUsers []v1beta3.User
}

var _ mapper.Mapper = Mapper{}

// New returns the mapper for a chart with the given default values.
func New(chartValues map[string]any) (Mapper, error) {
	var values struct {
		Defaults struct {
			Users []v1beta3.User `json:"users"`
		} `json:"defaults"`
	}
	data, err := json.Marshal(chartValues)
	if err != nil {
		return Mapper{}, fmt.Errorf("read the chart's default users: %w", err)
	}
	if err := json.Unmarshal(data, &values); err != nil {
		return Mapper{}, fmt.Errorf("read the chart's default users: %w", err)
	}
	return Mapper{defaultUsers: values.Defaults.Users}, nil
}

var monitorGVK = v1beta2.GroupVersion.WithKind("DataPowerMonitor")

// References implements mapper.Mapper.
func (m Mapper) References(cr *unstructured.Unstructured) ([]mapper.Reference, error) {
	svc, err := m.decode(cr)
	if err != nil {
		return nil, err
	}
	refs := []mapper.Reference{{GroupVersionKind: monitorGVK, Name: svc.Name}}
	for _, ref := range v1beta3.References(svc) {
		refs = append(refs, reference(ref.Kind, ref.Name))
	}
	for _, g := range v1beta3.GeneratedSecrets(svc) {
		refs = append(refs, reference("Secret", g.Name))
	}
	return refs, nil
}

// Generated implements mapper.Mapper.
func (m Mapper) Generated(cr *unstructured.Unstructured) ([]mapper.GeneratedSecret, error) {
	svc, err := m.decode(cr)
	if err != nil {
		return nil, err
	}
	var out []mapper.GeneratedSecret
	for _, g := range v1beta3.GeneratedSecrets(svc) {
		out = append(out, mapper.GeneratedSecret{Name: g.Name, Key: g.Key, Length: generatedLength})
	}
	return out, nil
}

// Map implements mapper.Mapper. A missing reference holds the release: rendering without it would
// roll running gateways into pods that can't start.
func (m Mapper) Map(ctx context.Context, cr *unstructured.Unstructured, cluster mapper.Cluster) (map[string]any, error) {
	svc, err := m.decode(cr)
	if err != nil {
		return nil, err
	}
	hashes := map[string]map[string]any{"Secret": {}, "ConfigMap": {}}
	var missing []string
	for _, ref := range references(svc) {
		hash, found, err := cluster.ContentHash(ctx, reference(ref.Kind, ref.Name), svc.Namespace)
		switch {
		case err != nil:
			return nil, err
		case found:
			hashes[ref.Kind][ref.Name] = salted(svc.UID, hash)
		case !ref.Optional:
			missing = append(missing, fmt.Sprintf("%s %q not found (%s)", ref.Kind, ref.Name, ref.Path))
		}
	}
	unusable, err := unusableUsers(ctx, svc, cluster)
	if err != nil {
		return nil, err
	}
	if len(missing) == 0 && len(unusable) > 0 {
		return nil, &mapper.HoldError{Reason: ReasonReferenceUnusable, Message: strings.Join(unusable, "; ")}
	}
	if len(missing) > 0 {
		return nil, &mapper.HoldError{Reason: ReasonReferenceNotFound, Message: strings.Join(missing, "; "), Told: true}
	}
	external, err := hasOwnMonitor(ctx, svc, cluster)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"references": map[string]any{"secrets": hashes["Secret"], "configMaps": hashes["ConfigMap"]},
		"monitor":    map[string]any{"external": external},
		"stopped":    svc.Annotations[datapower.StopAnnotation] == "true",
	}, nil
}

// salted keeps a reader of pods, where hashes are annotations, from telling that two services use
// one password, or which one of a list it is.
func salted(uid types.UID, hash string) string {
	sum := sha256.Sum256([]byte(string(uid) + "/" + hash))
	return hex.EncodeToString(sum[:8])
}

// references are those the spec names and those the operator generates for it.
func references(svc *v1beta3.DataPowerService) []v1beta3.Reference {
	refs := v1beta3.References(svc)
	for _, g := range v1beta3.GeneratedSecrets(svc) {
		refs = append(refs, v1beta3.Reference{Kind: "Secret", Name: g.Name, Path: g.Path, Key: g.Key})
	}
	return refs
}

// unusableUsers lists the users' Secrets that hold nothing to log in with: the gateway's start
// script would refuse them, and a rolling update would take the service down.
func unusableUsers(ctx context.Context, svc *v1beta3.DataPowerService, cluster mapper.Cluster) ([]string, error) {
	var out []string
	for i, user := range svc.Spec.Users {
		words, found, err := cluster.Words(ctx, reference("Secret", user.PasswordSecret), svc.Namespace)
		if err != nil {
			return nil, err
		}
		if found && !words["password-hashed"] && !words["password"] {
			out = append(out, fmt.Sprintf(
				"Secret %q needs the key password or password-hashed with one line of text (spec.users[%d].passwordSecret)",
				user.PasswordSecret, i))
		}
	}
	return out, nil
}

// hasOwnMonitor tells whether a DataPowerMonitor of the service's name exists that the service
// does not own: the user's, to be left alone.
func hasOwnMonitor(ctx context.Context, svc *v1beta3.DataPowerService, cluster mapper.Cluster) (bool, error) {
	owner, found, err := cluster.Owner(ctx, mapper.Reference{GroupVersionKind: monitorGVK, Name: svc.Name}, svc.Namespace)
	if err != nil {
		return false, err
	}
	return found && owner != string(svc.UID), nil
}

func reference(kind, name string) mapper.Reference {
	return mapper.Reference{GroupVersionKind: corev1.SchemeGroupVersion.WithKind(kind), Name: name}
}

func (m Mapper) decode(cr *unstructured.Unstructured) (*v1beta3.DataPowerService, error) {
	svc := &v1beta3.DataPowerService{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(cr.Object, svc); err != nil {
		return nil, &mapper.HoldError{Reason: "InvalidResource", Message: fmt.Sprintf("%s cannot be read: %v", datapower.Group, err)}
	}
	if len(svc.Spec.Users) == 0 {
		svc.Spec.Users = m.defaultUsers
	}
	return svc, nil
}
