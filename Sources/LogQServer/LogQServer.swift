// LogQServer
