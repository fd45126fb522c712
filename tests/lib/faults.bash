# What goes wrong with a storage service, a little of everything: functions for bats, on top of lib/azsim.
#
#   fail_one_in_a_hundred ACCOUNT     each answer of the account's services can be any of these

fail_one_in_a_hundred()
{
	local path=/$1/
	azsim_fault path="$path" percent=1 status=503 code=ServerBusy
	azsim_fault path="$path" percent=1 status=503 code=ServerBusy retry_after=1
	azsim_fault path="$path" percent=1 status=429 code=TooManyRequests
	azsim_fault path="$path" percent=1 status=500 code=InternalError
	azsim_fault path="$path" percent=1 status=500 code=OperationTimedOut
	azsim_fault path="$path" percent=1 reset=1
	azsim_fault path="$path" percent=1 lose=1
	azsim_fault path="$path" percent=1 delay=700
	azsim_fault path="$path" percent=1 truncate=0 method=GET
	azsim_fault path="$path" percent=1 truncate=30000 method=GET
	azsim_fault path="$path" percent=1 stall=2000 op=GetBlob
	azsim_fault path="$path" percent=1 stall=600000 op=GetBlob count=3
}
