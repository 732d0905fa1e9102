"""Numbers and expressions: parsing, intervals, quadrature, asymptotics; nothing here knows of diffusion."""
