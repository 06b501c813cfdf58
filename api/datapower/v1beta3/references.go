// SPDX-License-Identifier: Apache-2.0

package v1beta3

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Kinds of a Reference.
const (
	// KindSecret is the kind of a Reference to a Secret.
	KindSecret = "Secret"
	// KindConfigMap is the kind of a Reference to a ConfigMap.
	KindConfigMap = "ConfigMap"
)

// snmpGeneratorKey is the key that snmp.generator.config must have.
const snmpGeneratorKey = "generator.yaml"

// Reference is a Secret or ConfigMap that the spec names and that pods need.
type Reference struct {
	// Kind is KindSecret or KindConfigMap.
	Kind string
	// Name of the object, in the namespace of the DataPowerService.
	Name string
	// Path of the first field that names the object, for example spec.users[0].passwordSecret.
	Path string
	// Key that the object must have; empty when any keys will do. An object that several fields need with different
	// keys has the key of the first field that needs one.
	Key string
	// Optional is true when pods start without the object.
	Optional bool
}

// References lists the Secrets and ConfigMaps that svc names and pods need, each object once, in the order in which
// the spec first names them: users, domains, extraExe, env, snmp. Left out are imagePullSecrets, which the pods may
// lack, Secrets that the operator generates, deprecated tracing fields, and env entries that a later entry of the
// same name replaces.
func References(svc *DataPowerService) []Reference {
	c := &referenceCollector{index: map[objectKey]int{}}
	for i, user := range svc.Spec.Users {
		c.secret(user.PasswordSecret, "", fmt.Sprintf("spec.users[%d].passwordSecret", i))
	}
	for i := range svc.Spec.Domains {
		c.domain(&svc.Spec.Domains[i], fmt.Sprintf("spec.domains[%d]", i))
	}
	c.configMaps(svc.Spec.ExtraExe, "spec.extraExe")
	c.env(svc.Spec.Env)
	if snmp := svc.Spec.SNMP; snmp != nil && snmp.Generator != nil {
		c.configMap(snmp.Generator.Config, snmpGeneratorKey, "spec.snmp.generator.config")
	}
	return c.references
}

type objectKey struct{ kind, name string }

// referenceCollector gathers references and merges those to one object.
type referenceCollector struct {
	references []Reference
	index      map[objectKey]int
}

func (c *referenceCollector) domain(domain *Domain, path string) {
	for i, cert := range domain.Certs {
		c.secret(cert.Secret, "", fmt.Sprintf("%s.certs[%d].secret", path, i))
	}
	if app := domain.DPApp; app != nil {
		c.configMaps(app.Config, path+".dpApp.config")
		c.configMaps(app.Local, path+".dpApp.local")
	}
	c.secret(domain.PassphraseSecret, PassphraseKey, path+".passphraseSecret")
	c.secret(domain.passphrase().Secret, PassphraseKey, path+".settings.passphrase.secret")
	for i, entry := range domain.PasswordMap {
		c.secret(entry.Secret, PasswordKey, fmt.Sprintf("%s.passwordMap[%d].secret", path, i))
	}
}

func (c *referenceCollector) env(env []corev1.EnvVar) {
	last := map[string]int{}
	for i := range env {
		last[env[i].Name] = i
	}
	for i := range env {
		if env[i].ValueFrom == nil || last[env[i].Name] != i {
			continue
		}
		path := fmt.Sprintf("spec.env[%d].valueFrom", i)
		if ref := env[i].ValueFrom.SecretKeyRef; ref != nil {
			c.add(Reference{
				Kind: KindSecret, Name: ref.Name, Path: path + ".secretKeyRef", Key: ref.Key, Optional: isTrue(ref.Optional),
			})
		}
		if ref := env[i].ValueFrom.ConfigMapKeyRef; ref != nil {
			c.add(Reference{
				Kind: KindConfigMap, Name: ref.Name, Path: path + ".configMapKeyRef", Key: ref.Key, Optional: isTrue(ref.Optional),
			})
		}
	}
}

func (c *referenceCollector) secret(name, key, path string) {
	c.add(Reference{Kind: KindSecret, Name: name, Key: key, Path: path})
}

func (c *referenceCollector) configMap(name, key, path string) {
	c.add(Reference{Kind: KindConfigMap, Name: name, Key: key, Path: path})
}

func (c *referenceCollector) configMaps(names []string, path string) {
	for i, name := range names {
		c.configMap(name, "", fmt.Sprintf("%s[%d]", path, i))
	}
}

// add records a reference. Of two to one object the required one decides about the key: a key that only an optional
// use needs may be missing.
func (c *referenceCollector) add(r Reference) {
	if r.Name == "" {
		return
	}
	key := objectKey{r.Kind, r.Name}
	i, known := c.index[key]
	if !known {
		c.index[key] = len(c.references)
		c.references = append(c.references, r)
		return
	}
	first := &c.references[i]
	switch {
	case first.Optional && !r.Optional:
		first.Optional, first.Key = false, r.Key
	case first.Optional == r.Optional && first.Key == "":
		first.Key = r.Key
	}
}
