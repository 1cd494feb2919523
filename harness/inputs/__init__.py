"""What a run starts from: data in three splits, token ids, the weights of an encoder, and what the controlled protocol
hands out. Each is made once, named by its content, and only read afterwards.
"""
