print("logqd")
