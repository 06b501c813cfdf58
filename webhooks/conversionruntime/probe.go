package conversionruntime

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

// ErrNotServing says that the webhook does not answer as the API server needs it.
var ErrNotServing = errors.New("the conversion webhook does not answer yet")

const (
	probeTimeout = 3 * time.Second
	probeUID     = types.UID("datapower-conversion-probe")
	// maxAnswer bounds the answer to a review without objects.
	maxAnswer = 64 << 10
)

// probe asks the webhook at address, as the API server would with this bundle, to convert nothing. It fails with
// [ErrNotServing].
func probe(ctx context.Context, address, serverName string, bundle []byte) error {
	certs, err := pki.ParseBundle(bundle)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotServing, err)
	}
	roots := x509.NewCertPool()
	for _, cert := range certs {
		roots.AddCert(cert)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: serverName, MinVersion: tls.VersionTLS12},
		// No proxy: the API server uses none for webhooks in the cluster.
		DisableKeepAlives: true,
	}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if err := convertNothing(ctx, &http.Client{Transport: transport}, "https://"+address+conversion.Path); err != nil {
		return fmt.Errorf("%w at %s: %w", ErrNotServing, address, err)
	}
	return nil
}

func convertNothing(ctx context.Context, httpClient *http.Client, url string) error {
	review := apiextensionsv1.ConversionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: apiextensionsv1.SchemeGroupVersion.String(), Kind: "ConversionReview"},
		Request:  &apiextensionsv1.ConversionRequest{UID: probeUID, DesiredAPIVersion: datapower.Group + "/v1beta3"},
	}
	body, err := json.Marshal(review)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := httpClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("answers with status %d", response.StatusCode)
	}
	var answer apiextensionsv1.ConversionReview
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&answer); err != nil {
		return errors.New("answers with no ConversionReview")
	}
	if answer.Response == nil || answer.Response.UID != probeUID || answer.Response.Result.Status != metav1.StatusSuccess {
		return errors.New("does not convert")
	}
	return nil
}
