"""Published runs, repeated: do the rules, the task and the schedules give the figures that others have printed?"""
