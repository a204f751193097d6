"""Search for hyperparameters with KerasTuner; what comes out is a recipe."""
