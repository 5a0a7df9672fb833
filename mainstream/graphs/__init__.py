"""TensorFlow's side of the house: Keras models as numbered layers, frozen graphs, and the parts they are cut into."""
