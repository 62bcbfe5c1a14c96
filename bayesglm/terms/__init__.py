"""Terms: columns of the table into blocks of the linear predictor."""
