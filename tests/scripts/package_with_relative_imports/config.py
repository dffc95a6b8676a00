from dataclasses import dataclass


@dataclass
class Config:
    hidden: int = 24
    depth: int = 2
    epochs: int = 8
    batch_size: int = 16
