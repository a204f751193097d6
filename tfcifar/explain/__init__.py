"""Which pixels a classifier looks at, by several methods, and how well each of them says so."""

METHODS = ("grad_cam", "grad_cam++", "smooth_grad", "guided_saliency", "occlusion")
