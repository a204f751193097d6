"""Muon for convolutional networks: orthogonalized steps for the kernels, SGD or Adam for all else."""

import math
from typing import Any

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

# Keller Jordan's quintic: the steepest slope at zero, hence few steps; singular values end up between 0.7 and 1.2.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ADAM = (0.9, 0.98)  # decay of the mean and of the mean square of the gradients
EPSILON = 1e-7


@keras.saving.register_keras_serializable(package="tfcifar")
class ConvolutionalMuon(keras.optimizers.Optimizer):
    """Muon (Jordan 2024, kellerjordan.github.io/posts/muon) as in airbench94, for convolution kernels.

    `keras.optimizers.Muon` takes matrices only and gives all convolutions to Adam. Here a kernel [h, w, c, d] is the
    matrix [h * w * c, d]: its Nesterov momentum is made orthogonal by a Newton-Schulz iteration, so that all
    directions of a step have the same length, and the kernel is brought back to norm sqrt(d) before the step, so
    that `learning_rate` is a relative change. Weight decay would have nothing to act on. A depthwise kernel
    [h, w, c, 1] is c such matrices [h * w, 1]: each channel's filter and step have norm 1.

    All other variables are trained by SGD with Nesterov momentum on the gradient of the batch's summed loss, at the
    rates of the paper, or by Adam, as in Jordan's text: networks whose normalizations have a scale want that.

    Args:
        learning_rate: of the kernels, float or schedule; for the others it is multiplied by their ratio.
        batch_size: by which the gradient of the mean loss is multiplied for the others.
        momentum: of the kernels.
        bias_ratio, dense_ratio: of vectors (the biases of normalizations) and of matrices (the head).
        sgd_momentum: of both.
        sgd_weight_decay: of both; times the learning rate of the kernels, part of the gradient as in PyTorch. Adam's is
            decoupled, and spares vectors.
        adam_ratio: of vectors and matrices if Adam is to train them; None: SGD does.
        newton_schulz_steps: three suffice for small networks.
        compute_dtype: of the iteration's matrix products; its result is rough by design, and bfloat16 will do.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        batch_size: int,
        momentum: float = 0.6,
        bias_ratio: float = 0.22,
        dense_ratio: float = 2.8,
        sgd_momentum: float = 0.85,
        sgd_weight_decay: float = 0.0,
        adam_ratio: float | None = None,
        newton_schulz_steps: int = 3,
        compute_dtype: str = "float32",
        name: str = "convolutional_muon",
        **kwargs: Any,
    ):
        super().__init__(learning_rate, name=name, **kwargs)
        self.batch_size, self.momentum = batch_size, momentum
        self.bias_ratio, self.dense_ratio = bias_ratio, dense_ratio
        self.sgd_momentum, self.sgd_weight_decay = sgd_momentum, sgd_weight_decay
        self.adam_ratio = adam_ratio
        self.newton_schulz_steps, self.compute_dtype = newton_schulz_steps, compute_dtype

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.momentums = self.add_optimizer_variables(variables, "momentum")
        if self.adam_ratio:
            self.squares = self.add_optimizer_variables(variables, "square")

    def update_step(self, gradient, variable, learning_rate):
        momentum = self.momentums[self._get_variable_index(variable)]
        gradient = ops.cast(gradient, variable.dtype)
        learning_rate = ops.cast(learning_rate, variable.dtype)
        if len(variable.shape) == 4:
            direction = self._nesterov(gradient, momentum, self.momentum)
            if variable.shape[-1] == 1:  # depthwise
                axes, step = (0, 1), direction / _norm(direction, (0, 1))
            else:
                axes, step = None, orthogonalize(direction, self.newton_schulz_steps, self.compute_dtype)
            scale = math.sqrt(variable.shape[-1]) / _norm(variable, axes)
            self.assign(variable, variable * scale - learning_rate * step)
        elif self.adam_ratio:
            step = self._adam(gradient, momentum, self.squares[self._get_variable_index(variable)])
            if len(variable.shape) > 1:
                step = step + self.sgd_weight_decay * variable
            self.assign_sub(variable, learning_rate * self.adam_ratio * step)
        else:
            ratio = self.bias_ratio if len(variable.shape) <= 1 else self.dense_ratio
            gradient = gradient * self.batch_size + self.sgd_weight_decay / ratio * variable
            step = self._nesterov(gradient, momentum, self.sgd_momentum)
            self.assign_sub(variable, learning_rate * ratio * step)

    def _nesterov(self, gradient, momentum, coefficient):
        self.assign(momentum, coefficient * momentum + gradient)
        return gradient + coefficient * momentum

    def _adam(self, gradient, momentum, square):
        first, second = ADAM
        steps = ops.cast(self.iterations + 1, gradient.dtype)
        self.assign(momentum, first * momentum + (1 - first) * gradient)
        self.assign(square, second * square + (1 - second) * ops.square(gradient))
        return momentum / (1 - first**steps) / (ops.sqrt(square / (1 - second**steps)) + EPSILON)

    def get_config(self):
        own = ("batch_size", "momentum", "bias_ratio", "dense_ratio", "sgd_momentum", "sgd_weight_decay",
               "adam_ratio", "newton_schulz_steps", "compute_dtype")  # fmt: skip
        return super().get_config() | {name: getattr(self, name) for name in own}


def orthogonalize(kernel: keras.KerasTensor, steps: int, compute_dtype: str = "float32") -> keras.KerasTensor:
    """The orthogonal matrix nearest to a kernel [h, w, c, d], seen as a matrix [h * w * c, d], roughly.

    Returns:
        [h, w, c, d], in the dtype of `kernel`; the singular values of the matrix lie near 1.
    """
    a, b, c = NEWTON_SCHULZ
    x = ops.reshape(kernel, [-1, kernel.shape[-1]])
    tall = x.shape[0] > x.shape[1]
    x = ops.transpose(x) if tall else x  # the products are then of the smaller side
    x = x / _norm(x)  # the Frobenius norm bounds the largest singular value
    x = ops.cast(x, compute_dtype)
    for _ in range(steps):
        gram = ops.matmul(x, ops.transpose(x))
        x = a * x + ops.matmul(b * gram + c * ops.matmul(gram, gram), x)
    return ops.cast(ops.reshape(ops.transpose(x) if tall else x, kernel.shape), kernel.dtype)


def _norm(values, axes=None):
    return ops.sqrt(ops.sum(ops.square(values), axis=axes, keepdims=axes is not None)) + EPSILON
