"""What recipes on TensorFlow share: its threads and devices, tf.data's batches, losses, dropout."""
