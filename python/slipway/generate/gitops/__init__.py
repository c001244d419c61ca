"""The tree gitops/: what the stages consist of, for the hand-off first and for Flux ever after.

    flux/<stage>.yaml                one Flux Kustomization a stage: the only folder that the FluxInstance syncs
    components/<name>/               parts that apps share: volumes by mode, default-deny, defaults for apps
    <stage>/kustomization.yaml       the Flux Kustomizations of the stage's apps, people's own included
    <stage>/<app>/ks.yaml            the app's Flux Kustomizations: order, waiting, time-outs
    <stage>/<app>/app/               namespace.yaml, ocirepository.yaml, helmrelease.yaml, and what else it needs
    <stage>/<app>/<volume>/          a claim that is saved and restored; <volume>-backup/ what saves it

`render` is pure but for the names of files that people keep beside (beside.py).
"""

from slipway.generate.gitops.beside import NOTHING, Beside, beside
from slipway.generate.gitops.charts import CHARTS, IMAGES, Chart, Image
from slipway.generate.gitops.render import render

__all__ = ["CHARTS", "IMAGES", "NOTHING", "Beside", "Chart", "Image", "beside", "render"]
