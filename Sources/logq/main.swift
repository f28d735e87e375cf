print("logq")
