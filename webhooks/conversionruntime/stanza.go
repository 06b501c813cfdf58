package conversionruntime

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/utils/ptr"

	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

// maxBundle bounds the certificates in a stanza: foreign ones that somebody put there do not pile up.
const maxBundle = 16

// endpoint is how the API server reaches the webhook: by Service in namespace, or by URL when that is set.
type endpoint struct {
	namespace string
	url       string
}

// stanza is the conversion stanza of a definition.
func (e endpoint) stanza(bundle []byte) *apiextensionsv1.CustomResourceConversion {
	client := &apiextensionsv1.WebhookClientConfig{CABundle: bundle}
	if e.url != "" {
		client.URL = ptr.To(e.url)
	} else {
		client.Service = &apiextensionsv1.ServiceReference{
			Namespace: e.namespace, Name: Name, Path: ptr.To(conversion.Path), Port: ptr.To[int32](Port)}
	}
	return &apiextensionsv1.CustomResourceConversion{
		Strategy: apiextensionsv1.WebhookConverter,
		Webhook:  &apiextensionsv1.WebhookConversion{ClientConfig: client, ConversionReviewVersions: conversion.ReviewVersions()},
	}
}

// leadsTo tells whether a stanza leads to the endpoint, whatever certificates it trusts.
func (e endpoint) leadsTo(live *apiextensionsv1.CustomResourceConversion) bool {
	if live == nil || live.Strategy != apiextensionsv1.WebhookConverter || live.Webhook == nil || live.Webhook.ClientConfig == nil {
		return false
	}
	client := live.Webhook.ClientConfig
	if !slices.Equal(live.Webhook.ConversionReviewVersions, conversion.ReviewVersions()) {
		return false
	}
	if e.url != "" {
		return client.Service == nil && ptr.Deref(client.URL, "") == e.url
	}
	s := client.Service
	return client.URL == nil && s != nil && s.Namespace == e.namespace && s.Name == Name &&
		ptr.Deref(s.Path, "") == conversion.Path && ptr.Deref(s.Port, 0) == Port
}

// bundleOf is what a stanza trusts.
func bundleOf(live *apiextensionsv1.CustomResourceConversion) []byte {
	if live == nil || live.Webhook == nil || live.Webhook.ClientConfig == nil {
		return nil
	}
	return live.Webhook.ClientConfig.CABundle
}

// union is the bundle, and after it the CAs which a stanza trusts beyond it. Damaged text adds nothing.
func union(bundle, live []byte) []byte {
	certs, err := pki.ParseBundle(bundle)
	if err != nil {
		return bundle
	}
	others, err := pki.ParseBundle(live)
	if err != nil {
		return bundle
	}
	for _, other := range others {
		if other.IsCA && len(certs) < maxBundle && !slices.ContainsFunc(certs, other.Equal) {
			certs = append(certs, other)
		}
	}
	return pki.EncodeBundle(certs)
}

// trusts tells whether a stanza's bundle has every certificate of the wanted one.
func trusts(live, wanted []byte) bool {
	if bytes.Equal(live, wanted) {
		return true
	}
	want, err := pki.ParseBundle(wanted)
	if err != nil {
		return false
	}
	have, err := pki.ParseBundle(live)
	return err == nil && !slices.ContainsFunc(want, func(c *x509.Certificate) bool { return !slices.ContainsFunc(have, c.Equal) })
}

// patch is the merge patch that writes a stanza into the definition as it was when it was looked at.
func (e endpoint) patch(resourceVersion string, bundle []byte) ([]byte, error) {
	stanza, err := plainStanza(e.stanza(bundle))
	if err != nil {
		return nil, err
	}
	client := stanza["webhook"].(map[string]any)["clientConfig"].(map[string]any)
	for _, way := range []string{"url", "service"} {
		if client[way] == nil {
			client[way] = nil // removes the other way
		}
	}
	return json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": resourceVersion},
		"spec":     map[string]any{"conversion": stanza},
	})
}

func plainStanza(stanza *apiextensionsv1.CustomResourceConversion) (map[string]any, error) {
	text, err := json.Marshal(stanza)
	if err != nil {
		return nil, fmt.Errorf("encoding the conversion stanza: %w", err)
	}
	var out map[string]any
	return out, json.Unmarshal(text, &out)
}

// claim is the merge patch that writes an operator's name into the definition as it was when it was looked at.
func claim(self Operator, resourceVersion string) ([]byte, error) {
	return json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": resourceVersion, "annotations": map[string]string{HolderAnnotation: self.String()},
	}})
}

// String is for humans.
func (e endpoint) String() string {
	if e.url != "" {
		return e.url
	}
	return fmt.Sprintf("Service %s in namespace %s", Name, e.namespace)
}
