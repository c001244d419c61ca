// External Secrets as the slipway lab runs it: the controllers of stores and of ExternalSecrets, without webhooks and
// without the kinds that the stages do not use.
//
// It stands for the module's own command, which brings webhooks along that do not compile against the controller-runtime
// of the lab's other programs. What it registers, and with which settings, is that command's (cmd/controller/root.go).
package main

import (
	"flag"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	esv1 "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	esv1alpha1 "github.com/external-secrets/external-secrets/apis/externalsecrets/v1alpha1"
	genv1alpha1 "github.com/external-secrets/external-secrets/apis/generators/v1alpha1"
	ctrlcommon "github.com/external-secrets/external-secrets/pkg/controllers/common"
	"github.com/external-secrets/external-secrets/pkg/controllers/externalsecret"
	"github.com/external-secrets/external-secrets/pkg/controllers/externalsecret/esmetrics"
	ctrlmetrics "github.com/external-secrets/external-secrets/pkg/controllers/metrics"
	"github.com/external-secrets/external-secrets/pkg/controllers/secretstore"
	"github.com/external-secrets/external-secrets/pkg/controllers/secretstore/cssmetrics"
	"github.com/external-secrets/external-secrets/pkg/controllers/secretstore/ssmetrics"
	"github.com/external-secrets/external-secrets/pkg/feature"
)

const (
	class        = "default"
	storeRequeue = 5 * time.Minute
)

type controlled interface {
	SetupWithManager(ctrl.Manager, controller.Options) error
}

func main() {
	metrics := flag.String("metrics-addr", ":8080", "where metrics are told")
	flag.Parse()
	ctrl.SetLogger(zap.New())
	if err := run(*metrics); err != nil {
		ctrl.Log.Error(err, "external-secrets ends")
		os.Exit(1)
	}
}

func run(metrics string) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, esv1.AddToScheme, esv1alpha1.AddToScheme, genv1alpha1.AddToScheme,
	} {
		utilruntime.Must(add(scheme))
	}
	ctrlmetrics.SetUpLabelNames(false)
	esmetrics.SetUpMetrics()
	ssmetrics.SetUpMetrics()
	cssmetrics.SetUpMetrics()
	config := ctrl.GetConfigOrDie()
	config.QPS, config.Burst = 50, 100
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  scheme,
		Metrics: server.Options{BindAddress: metrics},
		// Secrets and ConfigMaps of the whole cluster do not belong into its memory.
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&v1.Secret{}, &v1.ConfigMap{}}}},
	})
	if err != nil {
		return err
	}
	secrets, err := ctrlcommon.BuildManagedSecretClient(manager, "")
	if err != nil {
		return err
	}
	for _, each := range controllers(manager, secrets) {
		options := controller.Options{MaxConcurrentReconciles: 1, RateLimiter: ctrlcommon.BuildRateLimiter()}
		if err := each.SetupWithManager(manager, options); err != nil {
			return err
		}
	}
	for _, each := range feature.Features() {
		if each.Initialize != nil {
			each.Initialize()
		}
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func controllers(manager ctrl.Manager, secrets client.Client) []controlled {
	named := ctrl.Log.WithName("controllers").WithName
	return []controlled{
		&secretstore.StoreReconciler{
			Client: manager.GetClient(), Log: named("SecretStore"), Scheme: manager.GetScheme(),
			ControllerClass: class, RequeueInterval: storeRequeue,
		},
		&secretstore.ClusterStoreReconciler{
			Client: manager.GetClient(), Log: named("ClusterSecretStore"), Scheme: manager.GetScheme(),
			ControllerClass: class, RequeueInterval: storeRequeue,
		},
		&externalsecret.Reconciler{
			Client: manager.GetClient(), SecretClient: secrets, Log: named("ExternalSecret"),
			Scheme: manager.GetScheme(), RestConfig: manager.GetConfig(), ControllerClass: class,
			RequeueInterval: time.Hour, ClusterSecretStoreEnabled: true, EnableFloodGate: true,
		},
	}
}
