// LogQClient
