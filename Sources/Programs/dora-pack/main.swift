import DoraPackCommand

PackProgram.main()
