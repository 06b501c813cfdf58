// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// removed stands for what is not handed on.
const removed = "<removed>"

// freeText are fields of a DataPowerService and of pods in which users write what they like, passwords too.
var freeText = map[string]bool{"initCmds": true, "command": true, "args": true, "manifest": true}

// wordsOfSecrets begin a value that must not be handed on, in logs and messages: word, separator, value. An authorization
// header loses all that follows.
var wordsOfSecrets = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?i)\b(authorization["']?\s*[:=]\s*).*`), "${1}" + removed},
	{regexp.MustCompile(`(?i)((?:pass(?:word|phrase|wd)|secret|token|api-?key)["']?\s*[:=]\s*)("[^"]*"|'[^']*'|\S+)`), "${1}" + removed},
	{regexp.MustCompile(`(?i)\b((?:pass(?:word|phrase|wd)(?:-hashed|-plaintext)?)\s+)("[^"]*"|'[^']*'|\S+)`), "${1}" + removed},
	{regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?`), removed},
	{regexp.MustCompile(`(\w+://[^/\s:@]*:)[^@\s/]+@`), "${1}" + removed + "@"},
}

// redactText removes from a text what follows a word that names a secret.
func redactText(s string) string {
	for _, w := range wordsOfSecrets {
		s = w.pattern.ReplaceAllString(s, w.with)
	}
	return s
}

// redactObject removes from an object what may be secret: data of Secrets and ConfigMaps (their keys and sizes stay),
// literal environment variables, commands, and copies of objects in annotations.
func redactObject(u *unstructured.Unstructured) {
	annotations := u.GetAnnotations()
	delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
	u.SetAnnotations(annotations)
	unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
	if u.GetKind() == "Secret" || u.GetKind() == "ConfigMap" {
		hideSecret(u)
	}
	redactTree(u.Object)
}

// hideSecret keeps the keys and sizes of a Secret or ConfigMap.
func hideSecret(u *unstructured.Unstructured) {
	for _, field := range []string{"data", "stringData", "binaryData"} {
		data, ok := u.Object[field].(map[string]any)
		if !ok {
			continue
		}
		for k, v := range data {
			data[k] = fmt.Sprintf("<removed: %d characters>", len(fmt.Sprint(v)))
		}
	}
}

func redactTree(node any) any {
	switch node := node.(type) {
	case map[string]any:
		for k, v := range node {
			switch {
			case freeText[k]:
				node[k] = hidden(v)
			case k == "env":
				node[k] = redactEnv(v)
			default:
				node[k] = redactTree(v)
			}
		}
	case []any:
		for i := range node {
			node[i] = redactTree(node[i])
		}
	case string:
		return redactText(node)
	}
	return node
}

func hidden(v any) any {
	if list, ok := v.([]any); ok {
		return fmt.Sprintf("<removed: %d entries>", len(list))
	}
	return removed
}

// redactEnv keeps names and references.
func redactEnv(v any) any {
	list, ok := v.([]any)
	if !ok {
		return removed
	}
	for _, entry := range list {
		if m, ok := entry.(map[string]any); ok && m["value"] != nil {
			m["value"] = removed
		}
	}
	return v
}

// redactLines removes from logs, line by line.
func redactLines(s string) string {
	lines := strings.SplitAfter(s, "\n")
	inKey := false
	for i, line := range lines {
		begins, ends := strings.Contains(line, "-----BEGIN") && strings.Contains(line, "PRIVATE KEY"), strings.Contains(line, "-----END")
		if inKey || begins {
			lines[i] = removed + "\n"
		} else {
			lines[i] = redactText(line)
		}
		inKey = (inKey || begins) && !ends
	}
	return strings.Join(lines, "")
}
