"""torchvision. Whatever is imported of this room, `operators` comes first: else its library may not import at all."""

from recipes.torchvision import operators

operators.declare()
