package pki_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

func TestOwnersOfOtherVersionsStay(t *testing.T) {
	owner := func(kind, name, uid string) metav1.OwnerReference {
		return metav1.OwnerReference{Kind: kind, Name: name, UID: types.UID(uid)}
	}
	first, second := owner("ClusterRole", "first", "1"), owner("ClusterRole", "second", "2")
	for name, test := range map[string]struct{ current, wanted, want []metav1.OwnerReference }{
		"no owner, none wanted":            {},
		"none wanted":                      {[]metav1.OwnerReference{first}, nil, []metav1.OwnerReference{first}},
		"it had none":                      {nil, []metav1.OwnerReference{first}, []metav1.OwnerReference{first}},
		"it is right":                      {[]metav1.OwnerReference{first}, []metav1.OwnerReference{first}, []metav1.OwnerReference{first}},
		"the next version joins":           {[]metav1.OwnerReference{first}, []metav1.OwnerReference{second}, []metav1.OwnerReference{first, second}},
		"the last version does not push":   {[]metav1.OwnerReference{first, second}, []metav1.OwnerReference{first}, []metav1.OwnerReference{first, second}},
		"one of that name was made anew":   {[]metav1.OwnerReference{owner("ClusterRole", "first", "0")}, []metav1.OwnerReference{first}, []metav1.OwnerReference{first}},
		"an owner of another kind goes":    {[]metav1.OwnerReference{owner("Namespace", "theirs", "3")}, []metav1.OwnerReference{first}, []metav1.OwnerReference{first}},
		"the order is that of their names": {[]metav1.OwnerReference{second}, []metav1.OwnerReference{first}, []metav1.OwnerReference{first, second}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, test.want, pki.WithOwners(test.current, test.wanted)) })
	}
}
