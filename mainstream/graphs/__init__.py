"""TensorFlow's side: Keras models as numbered layers, frozen graphs, and the parts they are cut into."""
