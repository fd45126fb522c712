/* hang: waits for ever, whatever it is told. */

#include <unistd.h>

int
main(void)
{
	for (;;)
		pause();
}
